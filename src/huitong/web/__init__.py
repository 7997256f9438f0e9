"""Pages for people: the study list, a study's page, OHIF. Everything they show comes from the rooms' actions."""
