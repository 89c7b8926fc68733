-- depends: crime-match-0001-crimes
-- What data.police.uk publishes: a month and a map point near the place. Never matched, and no version of anything.
CREATE TABLE background_crime (
    key          text COLLATE "C" PRIMARY KEY,  -- the published id, else a hash of the content
    month        date   NOT NULL,               -- its first day
    force        text   NOT NULL,
    type         text   NOT NULL,
    lat          double precision,
    lon          double precision,
    location     text   NOT NULL,
    outcome      text   NOT NULL,               -- as first read
    batch_number bigint NOT NULL REFERENCES crime_batch
);
CREATE INDEX background_crime_month ON background_crime (month);
CREATE INDEX background_crime_batch ON background_crime (batch_number);
