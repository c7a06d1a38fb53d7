// Package protocol holds the black-box tests of the authorization server: each starts the real
// program and asserts what is on the wire and what is stored, by the ids of the requirement
// matrix (AS-, RS-, GW-) and of the attack catalogue (AZ, CO, OT, TK, DC, OP).
package protocol
