DROP TRIGGER handling_action_changed ON handling_action;
DROP TRIGGER alert_version_changed ON alert_version;
DROP FUNCTION note_alert_change();
DROP TABLE alert_change;
