-- depends: engine-0003-sequence
-- The first number ever seen of a device: of what came before it nothing is claimed. Of older rows it is not known.
ALTER TABLE device_sequence ADD COLUMN since bigint;
UPDATE device_sequence SET since = until + 1;
ALTER TABLE device_sequence ALTER COLUMN since SET NOT NULL;
