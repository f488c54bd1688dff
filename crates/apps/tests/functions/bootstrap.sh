#!/bin/bash
# A custom runtime in a shell: what `provided.al2023` runs.
host=${AWS_LAMBDA_RUNTIME_API%:*} port=${AWS_LAMBDA_RUNTIME_API#*:}
while :; do
    exec 3<>"/dev/tcp/$host/$port"
    printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&3
    id=
    while IFS= read -r line <&3; do
        line=${line%$'\r'}
        case ${line,,} in lambda-runtime-aws-request-id:*) id=${line#*: } ;; '') break ;; esac
    done
    cat <&3 >/dev/null
    exec 3>&-
    answer='{"statusCode":200,"body":"{\"type\":\"ok\",\"text\":\"from a shell\"}"}'
    exec 3<>"/dev/tcp/$host/$port"
    printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' "$id" ${#answer} "$answer" >&3
    cat <&3 >/dev/null
    exec 3>&-
done
