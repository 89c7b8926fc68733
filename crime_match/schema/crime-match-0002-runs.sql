-- depends: crime-match-0001-crimes
-- Match runs. A run is named by the hash of its algorithm, parameters and inputs, so its results are written once and stay.
-- Whether a result is stale is asked for, never stored: there is a version of the crime later than the one it was made from.
CREATE TABLE run (
    id         text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[0-9a-f]{16,128}$'),
    algorithm  text NOT NULL,
    parameters json NOT NULL,  -- json, not jsonb: it stays as it was written, so that the hash can be made again
    inputs     json NOT NULL
);

CREATE TABLE run_crime (
    run           text COLLATE "C" NOT NULL REFERENCES run,
    number        integer          NOT NULL,  -- place in the run's order
    force         text COLLATE "C" NOT NULL,
    reference     text COLLATE "C" NOT NULL,
    version       integer          NOT NULL,  -- the version that was matched
    n_placed      integer          NOT NULL,
    n_possible    integer          NOT NULL,
    n_excluded    integer          NOT NULL,
    n_unmonitored integer          NOT NULL,
    n_lines       integer          NOT NULL,  -- of how many of these wearers a line was written
    PRIMARY KEY (run, force, reference),
    FOREIGN KEY (force, reference, version) REFERENCES crime_version
);
CREATE INDEX run_crime_crime ON run_crime (force, reference, version);

CREATE TABLE run_result (
    run       text COLLATE "C" NOT NULL,
    number    integer          NOT NULL,  -- place in the run's order
    force     text COLLATE "C" NOT NULL,
    reference text COLLATE "C" NOT NULL,
    version   integer          NOT NULL,
    wearer    text COLLATE "C" NOT NULL,
    verdict   text             NOT NULL CHECK (verdict IN ('placed', 'possible', 'excluded', 'unmonitored')),
    support   text,
    line      text             NOT NULL,  -- the JSON line as it was written, byte for byte, without the line's end
    PRIMARY KEY (run, force, reference, wearer),
    FOREIGN KEY (run, force, reference) REFERENCES run_crime
);

-- When, by whom and why a run was made or made again. Not part of the result, which must not depend on it.
CREATE TABLE run_made (
    run     text COLLATE "C" NOT NULL REFERENCES run,
    made_at timestamptz      NOT NULL,
    made_by text             NOT NULL CHECK (made_by <> ''),
    reason  text             NOT NULL
);
CREATE INDEX run_made_run ON run_made (run, made_at);

CREATE FUNCTION refuse_change_of_run_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is only appended to', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER run_made_appended BEFORE UPDATE OR DELETE ON run_made
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_run_made();
