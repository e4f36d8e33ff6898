// SPDX-License-Identifier: Apache-2.0
// Run by the invoker plug-in when the project is built: what came along, and does it run?
def path = new File(basedir, 'target/runtime-path.txt').text.trim()
// .../artifact/version/artifact-version.jar
def got = path.split(File.pathSeparator).collect { new File(it).parentFile.parentFile.name }.sort()
def wanted = ['hardware-sim', 'iommu-api', 'jspecify', 'slf4j-api']
if (got != wanted) {
    throw new IllegalStateException("a consumer gets $got, should get $wanted")
}

def all = new File(basedir, 'target/classes').path + File.pathSeparator + path
def java = System.getProperty('java.home') + '/bin/java'
for (command in [['-cp', all, 'com.example.alone.Main'], ['-p', all, '-m', 'com.example.alone/com.example.alone.Main']]) {
    def output = new File(basedir, 'target/output.txt')
    def exit = new ProcessBuilder([java] + command)
            .redirectErrorStream(true)
            .redirectOutput(output)
            .start()
            .waitFor()
    if (exit != 0 || !output.text.contains('passes while no driver is there: true')) {
        throw new IllegalStateException("$command: exit code $exit: ${output.text}")
    }
}
true
