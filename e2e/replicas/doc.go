// Package replicas kills replicas and their database under load.
//
// Three processes of the built program share one real PostgreSQL behind a round-robin proxy. Refreshes
// are journalled by who made them; after the kills every acknowledged one must be known to whichever
// replica is asked. The tests are behind the build tag replicas: `make replicas` runs them and prints
// what they measured.
package replicas
