# Builds the addon inside an installed package, where no published binary fits:
#   npx millrace build-native
# which fetches node-gyp and node-addon-api and then runs: node-gyp rebuild --directory=native/from_source
# It is not at the package's root, because npm would then run it on every installation.
{
  'variables': { 'native_dir': '..' },
  'includes': [ '../addon.gypi' ],
}
