// A Mattermost app: it answers /ping, /bindings and /send.
package main

import (
	"encoding/json"
	"fmt"
)

type object map[string]interface{}
type list []interface{}

var form = object{
	"title":  "Say hello",
	"icon":   "icon.png",
	"fields": list{object{"type": "text", "name": "message", "label": "message"}},
	"submit": object{"path": "/send"},
}

var bindings = list{
	object{"location": "/channel_header", "bindings": list{
		object{"location": "send-button", "icon": "icon.png", "label": "Say hello", "form": form},
	}},
	object{"location": "/command", "bindings": list{
		object{"icon": "icon.png", "label": "{{id}}", "description": "Says hello", "hint": "[send]", "bindings": list{
			object{"location": "send", "label": "send", "form": form},
		}},
	}},
}

// answer is what the app says to a call.
func answer(path string, body []byte) object {
	var call interface{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &call); err != nil {
			return object{"type": "error", "text": "The call is not JSON"}
		}
	}
	switch path {
	case "/ping":
		return object{"type": "ok", "text": "PONG"}
	case "/bindings":
		return object{"type": "ok", "data": bindings}
	case "/send":
		if message := message(call); message != "" {
			return object{"type": "ok", "text": fmt.Sprintf("You said: %s", message)}
		}
		return object{"type": "ok", "text": "Hello, world"}
	default:
		return object{"type": "error", "text": "There is nothing at " + path}
	}
}

// message is the text that somebody typed, or "".
func message(call interface{}) string {
	fields, _ := call.(map[string]interface{})
	values, _ := fields["values"].(map[string]interface{})
	message, _ := values["message"].(string)
	return message
}

func main() {
	serve(answer)
}
