package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"
)

// What no text of a request may hold: databases refuse it, and would do so with an
// error that looks like one of ours. What else is wrong with a text the store says,
// which knows what it is for.

// unfit is why a text is refused; "" for one that is not.
func unfit(s string) string {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return "it holds the character U+0000"
	case !utf8.ValidString(s):
		return "it is no UTF-8"
	}
	return ""
}

// unfitQuery refuses parameters. Those that cannot be read are refused here, for every
// route: url.URL.Query leaves them out, and what is asked then is something else.
func unfitQuery(raw string) error {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return failure{http.StatusBadRequest, fmt.Errorf("the query cannot be read: %w", err)}
	}
	for name, values := range q {
		for _, v := range append(values, name) {
			if why := unfit(v); why != "" {
				return failure{http.StatusUnprocessableEntity, fmt.Errorf("parameter %q: %s", name, why)}
			}
		}
	}
	return nil
}

// problemOfQuery is what unfitQuery has against parameters; nil for nothing.
func problemOfQuery(raw string) *Problem {
	if raw == "" {
		return nil
	}
	var f failure
	if !errors.As(unfitQuery(raw), &f) {
		return nil
	}
	p := problemOf(f.status, f.Error())
	return &p
}

// unfitIn refuses texts of an operation's input.
func unfitIn(v reflect.Value, where string) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return unfitIn(v.Elem(), where)
		}
	case reflect.String:
		if why := unfit(v.String()); why != "" {
			return failure{http.StatusUnprocessableEntity, fmt.Errorf("%s: %s", where, why)}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return nil
		}
		for i := range v.Len() {
			if err := unfitIn(v.Index(i), where); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if err := unfitIn(k, where); err != nil {
				return err
			}
			if err := unfitIn(v.MapIndex(k), where); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			if err := unfitIn(v.Field(i), nameOf(&f, where)); err != nil {
				return err
			}
		}
	}
	return nil
}

// nameOf is how who asks calls a field.
func nameOf(f *reflect.StructField, where string) string {
	for _, tag := range []string{"path", "query", "json"} {
		if name, _, _ := strings.Cut(f.Tag.Get(tag), ","); name != "" {
			return name
		}
	}
	if f.Anonymous || f.Name == "Body" {
		return where
	}
	return f.Name
}
