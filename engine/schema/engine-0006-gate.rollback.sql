DROP TABLE fix_gate;
