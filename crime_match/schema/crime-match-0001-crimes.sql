-- Crimes as forces sent them: what was read is never changed. A crime that is sent again with changes is a further version;
-- one that is sent again as it was is only noted. Names sort by their bytes, so that every server gives the same order.
CREATE TABLE crime_batch (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- one an import, in the order of imports
    file      text        NOT NULL,
    sha256    text        NOT NULL,  -- of the file's bytes
    form      text        NOT NULL,
    n_rows    integer     NOT NULL,
    n_refused integer     NOT NULL,  -- rows with a fault, which were left out
    n_faults  integer     NOT NULL,
    n_new     integer     NOT NULL,
    n_changed integer     NOT NULL,
    n_same    integer     NOT NULL,
    imported  timestamptz NOT NULL
);
CREATE INDEX crime_batch_sha256 ON crime_batch (sha256);

CREATE TABLE crime_version (
    force         text COLLATE "C" NOT NULL,
    reference     text COLLATE "C" NOT NULL,
    version       integer          NOT NULL CHECK (version > 0),
    changed       text[]           NOT NULL,  -- against the version before; none for the first
    type          text             NOT NULL,
    from_time     timestamptz      NOT NULL,
    to_time       timestamptz      NOT NULL,
    lat           double precision NOT NULL,
    lon           double precision NOT NULL,
    uncertainty_m double precision NOT NULL,
    text          text             NOT NULL,
    batch         text             NOT NULL,  -- as the force names it
    easting_m     double precision,
    northing_m    double precision,
    batch_number  bigint           NOT NULL REFERENCES crime_batch,
    PRIMARY KEY (force, reference, version)
);
CREATE INDEX crime_version_batch ON crime_version (batch_number);
CREATE INDEX crime_version_reference ON crime_version (reference);
CREATE INDEX crime_version_from ON crime_version (from_time);

-- The latest version of each crime.
CREATE VIEW crime AS
SELECT v.* FROM crime_version v
WHERE NOT EXISTS (
    SELECT FROM crime_version n WHERE n.force = v.force AND n.reference = v.reference AND n.version > v.version
);

-- The same again: which version a later batch repeated.
CREATE TABLE crime_seen_again (
    force        text COLLATE "C" NOT NULL,
    reference    text COLLATE "C" NOT NULL,
    version      integer          NOT NULL,
    batch        text             NOT NULL,
    batch_number bigint           NOT NULL REFERENCES crime_batch,
    PRIMARY KEY (force, reference, version, batch_number),
    FOREIGN KEY (force, reference, version) REFERENCES crime_version
);
CREATE INDEX crime_seen_again_batch ON crime_seen_again (batch_number);
