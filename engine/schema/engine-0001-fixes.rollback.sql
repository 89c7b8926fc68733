DROP VIEW fix_readable;
DROP TABLE device_event;
DROP TABLE fix;
DROP TABLE device;
