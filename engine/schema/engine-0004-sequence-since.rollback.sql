ALTER TABLE device_sequence DROP COLUMN since;
