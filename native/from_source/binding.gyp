# Builds the addon inside an installed package, where no published binary fits:
#   npx node-gyp rebuild --directory=node_modules/millrace/native/from_source
# It is not at the package's root, because npm would then run it on every installation.
{
  'variables': { 'native_dir': '..' },
  'includes': [ '../addon.gypi' ],
}
