package registry

// ICANNTLDs is the generated table.
var ICANNTLDs = icannTLDs[:]
