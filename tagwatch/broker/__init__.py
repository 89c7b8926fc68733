"""Who may enter the MQTT broker, and what they may say there: certificates, passwords, revocations, access rules."""
