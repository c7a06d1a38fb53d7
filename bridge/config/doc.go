// Package config turns file, environment and flags into one validated value.
//
// Each setting has one name in three spellings: the flag --public-url, the environment variable
// TRINITY_BRIDGE_PUBLIC_URL (or TRINITY_BRIDGE_PUBLIC_URL_FILE, naming a file that holds the
// value) and the key public_url of the YAML file. A flag wins over the environment, the
// environment over the file. All mistakes are reported together, one line each, and an unknown
// key is a mistake: a setting that is silently ignored is a hole (OP-34).
//
// Neighbours: cmd parses the flags, app takes the Config.
package config
