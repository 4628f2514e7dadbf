package faults

// rows is the table, in its order.
var rows = []row{
	{id: "F1", on: "SQLite", fault: "kill -9 of the server", invariants: "I1 I2 I4 I5 I6", quick: true, run: killedEmbedded},
	{id: "F1", on: "PostgreSQL, 2 nodes", fault: "kill -9 of a node", invariants: "I1 I2 I3 I4 I5 I6", quick: true, run: killedNode},
}
