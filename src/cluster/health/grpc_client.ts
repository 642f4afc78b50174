/**
 * What is used of `@grpc/grpc-js`. The build puts the library itself in this file's place
 * (scripts/bundle.mjs): as a dependency it would bring protobufjs, whose install script makes
 * package managers that run none fail.
 */
export { Client, credentials, Metadata } from '@grpc/grpc-js'
