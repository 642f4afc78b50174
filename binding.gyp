# The release build of the addon, for prebuildify. It stays out of the published package: see native/from_source.
{
  'variables': { 'native_dir': 'native' },
  'includes': [ 'native/addon.gypi' ],
}
