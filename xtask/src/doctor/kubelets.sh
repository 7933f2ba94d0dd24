# From a server: which kubelets answer? Side by side. $@: nodes' addresses as they stand in a URL.
export LC_ALL=C
for node in "$@"; do
  {
    said=$(curl --silent --show-error --insecure --connect-timeout 4 --max-time 8 --output /dev/null "https://$node/" 2>&1)
    echo "$node $? $said"
  } &
done
wait
