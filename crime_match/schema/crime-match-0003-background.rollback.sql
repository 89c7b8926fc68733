DROP TABLE background_crime;
