package extauthz

// Question is question, for tests.
var Question = question
