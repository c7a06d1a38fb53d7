// Package store measures both stores, the embedded one and PostgreSQL, in one table beside one sync of the disk:
// what a redemption and a refresh cost in a small store and in a large one, what the large one takes on the disk and in
// memory, and how long lists and revocations take there, in the store and through the running program. `make bench-store`
// prints it; it asserts nothing about time. What a restore and a program that nobody calls may hold in memory is asserted in every run.
package store
