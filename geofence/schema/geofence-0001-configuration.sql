-- Zones, curfews, activations, wearers and teams as they were read, one row a version. The rows with no `replaced` hold now.
CREATE TABLE configuration (
    kind     text        NOT NULL CHECK (kind IN ('zone', 'curfew', 'activation', 'wearer', 'team')),
    id       text        NOT NULL,
    version  text        NOT NULL,
    content  jsonb       NOT NULL,
    since    timestamptz NOT NULL,
    replaced timestamptz,
    PRIMARY KEY (kind, id, since)
);
CREATE UNIQUE INDEX configuration_now ON configuration (kind, id) WHERE replaced IS NULL;
