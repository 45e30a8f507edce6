"""The contract that every engine keeps, for the tests of whoever writes one.

::

    from pipeline.config import load_config
    from pipeline.testing import check_engine


    def test_the_engine_keeps_its_contract():
        check_engine(load_config(None, ("engine.kind=brightness",)))
"""

from pipeline.testing.contract import check_engine

__all__ = ["check_engine"]
