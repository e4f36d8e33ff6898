// SPDX-License-Identifier: Apache-2.0
// Run by the invoker plug-in when the project has failed to build.
def log = new File(basedir, 'build.log').text
def missing = (log =~ /'dependencies.dependency.version' for (\S+):jar is missing/).collect { it[1] }.unique()
def wanted = ['com.google.inject:guice', 'org.junit.jupiter:junit-jupiter']
if (missing != wanted) {
    throw new IllegalStateException("no versions of $missing, should be of $wanted")
}
true
