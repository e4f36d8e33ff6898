// SPDX-License-Identifier: Apache-2.0
// Run by the invoker plug-in when the project is built: what came along, and does it run?
def path = new File(basedir, 'target/runtime-path.txt').text.trim()
// .../artifact/version/artifact-version.jar
def got = path.split(File.pathSeparator).collect { new File(it).parentFile.parentFile.name }.sort()
def wanted = ['hardware-sim', 'iommu-api', 'iommu-intel', 'jspecify', 'slf4j-api']
if (got != wanted) {
    throw new IllegalStateException("a consumer of hardware-sim gets $got, should get $wanted")
}

def all = new File(basedir, 'target/classes').path + File.pathSeparator + path
def java = System.getProperty('java.home') + '/bin/java'
def output = new File(basedir, 'target/output.txt')
def exit = new ProcessBuilder([java, '-cp', all, 'com.example.simulation.Main'] as List<String>)
        .redirectErrorStream(true)
        .redirectOutput(output)
        .start()
        .waitFor()
if (exit != 0 || !output.text.contains('opened intel [dmar0] on a machine from the class path')) {
    throw new IllegalStateException("exit code $exit: ${output.text}")
}
true
