DO $$ BEGIN RAISE EXCEPTION 'fixes cannot be taken back to the tables of before: restore a backup'; END $$;
