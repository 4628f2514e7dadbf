package sqlite

// CheckpointPages is at how many pages a commit copies the rest of the log.
const CheckpointPages = checkpointPages
