-- depends: crime-match-0002-runs
-- By which erasure a line was taken out of a run: a line that says so stands in its place, under a name that is nobody's.
ALTER TABLE run_result ADD COLUMN erased bigint;
CREATE INDEX run_result_wearer ON run_result (wearer);
