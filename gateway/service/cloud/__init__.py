"""Jobs that the cloud answers: cleaned, entered in the audit log, sent, waited for, stored. Nothing here knows a broker."""
