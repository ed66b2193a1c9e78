# Starts Apache httpd with a file of the recipe, as Debian's package would, and sets APACHE.
#   . "$STAGE/apache.sh" FILE DIRECTORY    # its own user may write in DIRECTORY
cat > apache.conf <<END
ServerName localhost
ServerRoot $PWD
PidFile apache.pid
ErrorLog apache.log
DefaultRuntimeDir $PWD
User www-data
Group www-data
$(for module in mpm_event authz_core authn_core env setenvif alias cgid dav dav_fs; do
    echo "LoadModule ${module}_module /usr/lib/apache2/modules/mod_$module.so"
done)
ScriptSock cgid.sock
Include $1
END
# What mktemp made is closed to it.
chmod 755 "$RECIPE" "$PWD"
chown -R www-data "$2"
apache2 -d "$PWD" -f "$PWD/apache.conf" -DFOREGROUND &
APACHE=$!
until curl -o response http://127.0.0.1:8081/ 2> curl.log; do kill -0 "$APACHE" && sleep 0.1; done
