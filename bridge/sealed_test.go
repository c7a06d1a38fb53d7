package bridge

import (
	"reflect"
	"slices"
	"testing"
)

// Every field of bytes in what is stored is one of its sealed values, or is named here with the reason:
// whoever adds one has to say what it is, or it is left behind when the secret is exchanged.
func TestSealedValues_complete(t *testing.T) {
	t.Parallel()
	public := []string{"SigningKey.Public", "Client.Keys"}
	for _, record := range []any{
		&Flow{}, &Grant{}, &Link{}, &KeyRevocation{}, &IdentitySession{}, &SigningKey{}, &Deployment{},
		&Client{}, &Code{}, &Consent{}, &Family{}, &AuditEvent{}, &Verdict{},
	} {
		value := reflect.ValueOf(record).Elem()
		fields := map[*[]byte]string{}
		fillBytes(value, value.Type().Name(), fields)
		if sealed, ok := record.(interface{ SealedValues() []SealedValue }); ok {
			for _, v := range sealed.SealedValues() {
				if v.Kind == "" || fields[v.In] == "" {
					t.Errorf("a sealed value %q is not in its record", v.Kind)
				}
				delete(fields, v.In)
			}
		}
		for _, name := range fields {
			if !slices.Contains(public, name) {
				t.Errorf("%s holds bytes and is no sealed value", name)
			}
		}
	}
	if values := (&Flow{}).SealedValues(); len(values) != 0 {
		t.Errorf("an empty flow has %d sealed values", len(values))
	}
}

// fillBytes fills every field of bytes below a value and notes its name.
func fillBytes(value reflect.Value, name string, fields map[*[]byte]string) {
	switch {
	case value.Type() == reflect.TypeFor[[]byte]():
		value.SetBytes([]byte(name))
		fields[value.Addr().Interface().(*[]byte)] = name
	case value.Kind() == reflect.Struct:
		for i := range value.NumField() {
			if field := value.Type().Field(i); field.IsExported() {
				fillBytes(value.Field(i), value.Type().Name()+"."+field.Name, fields)
			}
		}
	case value.Kind() == reflect.Pointer && value.Type().Elem().Kind() == reflect.Struct:
		value.Set(reflect.New(value.Type().Elem()))
		fillBytes(value.Elem(), name, fields)
	case value.Kind() == reflect.Slice && value.Type().Elem().Kind() == reflect.Struct:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fillBytes(value.Index(0), name, fields)
	}
}
