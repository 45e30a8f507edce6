"""Pages of one HTML file, such as a report of a period: no script, nothing loaded, printable.

content   what the index says of the period, one record per camera
pictures  which events get their picture, within a number of bytes
timeline  where things lie on a line, in per cent
words     the words of the page, in each language
render    the file
track     the page of one object
scores    the page of an evaluation
minutes   a meeting, as JSON or a page; minutes_markdown and minutes_docx: the other forms
"""
