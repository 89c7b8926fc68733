-- depends: tagwatch-0002-retention
-- Which instance of the service leads; all others stand by. Whoever leads may write while the term is his.

CREATE TABLE leader (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    term     bigint      NOT NULL,          -- one more with each leader: it fences off the ones before
    name     text        NOT NULL,          -- the instance, empty before the first
    backend  integer     NOT NULL,          -- the server's process that its lease is kept by, and since when; 0: given up
    began    timestamptz NOT NULL,
    beats    bigint      NOT NULL           -- one more with each renewal: who stands by sees that it stays, by his own clock
);
INSERT INTO leader VALUES (true, 0, '', 0, '-infinity', 0);
