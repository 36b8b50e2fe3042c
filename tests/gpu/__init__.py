"""What can only be proved on a GPU: ``make gpu``, or ``python -m tests.gpu``.

Every check takes a device, so that ``test_checks.py`` beside this runs the small ones on the CPU.
"""
