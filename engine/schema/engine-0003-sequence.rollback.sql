DROP TABLE device_sequence;
