DROP TABLE run_made;
DROP FUNCTION refuse_change_of_run_made();
DROP TABLE run_result;
DROP TABLE run_crime;
DROP TABLE run;
