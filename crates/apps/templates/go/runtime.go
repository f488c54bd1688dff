package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

// event is what Lambda gives the function.
type event struct {
	Path string `json:"path"`
	Body string `json:"body"`
}

// serve asks Lambda for events and answers them, until Lambda ends the process.
func serve(answer func(path string, body []byte) object) {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(base + "next")
		if err != nil {
			fmt.Fprintln(os.Stderr, "cannot ask Lambda for an event:", err)
			os.Exit(1)
		}
		text, err := io.ReadAll(next.Body)
		next.Body.Close()
		id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		if err != nil || id == "" {
			fmt.Fprintln(os.Stderr, "Lambda gave no event:", next.Status)
			os.Exit(1)
		}
		var given event
		if err := json.Unmarshal(text, &given); err != nil {
			post(base+id+"/error", object{"errorType": "BadEvent", "errorMessage": err.Error()})
			continue
		}
		body, _ := json.Marshal(answer(given.Path, []byte(given.Body)))
		post(base+id+"/response", object{
			"statusCode": 200,
			"headers":    object{"Content-Type": "application/json"},
			"body":       string(body),
		})
	}
}

func post(url string, value object) {
	text, _ := json.Marshal(value)
	answer, err := http.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot give Lambda the answer:", err)
		os.Exit(1)
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
}
