DELETE FROM configuration WHERE content IS NULL OR kind = 'proximity';
ALTER TABLE configuration DROP CONSTRAINT configuration_pkey;
ALTER TABLE configuration DROP COLUMN number;
ALTER TABLE configuration DROP COLUMN holds_from;
ALTER TABLE configuration ALTER COLUMN content SET NOT NULL;
ALTER TABLE configuration ADD PRIMARY KEY (kind, id, since);
ALTER TABLE configuration DROP CONSTRAINT configuration_kind_check;
ALTER TABLE configuration ADD CHECK (kind IN ('zone', 'curfew', 'activation', 'wearer', 'team'));
