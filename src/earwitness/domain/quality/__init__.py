"""Quality management: forms, scoring, the life of an evaluation, calibrations. Pure."""
