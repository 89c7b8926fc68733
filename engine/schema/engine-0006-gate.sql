-- depends: engine-0005-years
-- Empty for ever: who reads fixes locks it shared, who moves them between rows and columns locks it alone as he ends.
CREATE TABLE fix_gate ();
