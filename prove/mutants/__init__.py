"""Mutation testing of ``gt_conformance/checks`` and ``gt_conformance/judgement``: ``make mutants``, docs/mutation.md.

Cosmic Ray makes the mutants and keeps what came of each. Whether one is noticed is found out here, in a process forked
for it: by the faults and lawful differences of ``make prove``, and by the unit tests about its module.
"""
