"""An author's test is run by the check, not by us."""

collect_ignore = ["example"]
