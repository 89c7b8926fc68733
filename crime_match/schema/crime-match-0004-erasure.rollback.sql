DROP INDEX run_result_wearer;
ALTER TABLE run_result DROP COLUMN erased;
