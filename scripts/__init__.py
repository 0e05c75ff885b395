"""The work behind the rules: one folder per stage, one script per rule.

A stage imports from its own folder and from stages before it
(data, models, encode, retrieve, evaluate, studies, report), never from one after it.
"""
