-- depends: geofence-0001-configuration
-- From when on a version holds (NULL: from the beginning), and versions that end something (no content). Of two versions for
-- one moment the one that was read later holds. `replaced` stays what people ask first: which row was read last.
ALTER TABLE configuration ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE configuration ADD COLUMN holds_from timestamptz;
ALTER TABLE configuration ALTER COLUMN content DROP NOT NULL;
ALTER TABLE configuration DROP CONSTRAINT configuration_pkey;
ALTER TABLE configuration ADD PRIMARY KEY (number);
ALTER TABLE configuration DROP CONSTRAINT configuration_kind_check;
ALTER TABLE configuration ADD CHECK (kind IN ('zone', 'curfew', 'activation', 'wearer', 'team', 'proximity'));
