"""What an index knows of recorded meetings, read for whoever shows it: minutes, pages, queries.

pages      the pages of what is said: on the screen meanwhile, and spoken of
recording  one video with all that is said and shown in it
written    minutes that a model wrote of it: asked for once, and kept in the index
"""
