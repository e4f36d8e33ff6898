// SPDX-License-Identifier: Apache-2.0
// Run by the invoker plug-in when the project is built: what came along, and does it audit?
def path = new File(basedir, 'target/runtime-path.txt').text.trim()
// .../artifact/version/artifact-version.jar
def got = path.split(File.pathSeparator).collect { new File(it).parentFile.parentFile.name }.sort()
def wanted = ['commons-codec', 'commons-compress', 'commons-io', 'commons-lang3', 'host-audit', 'iommu-amd', 'iommu-api',
              'iommu-core', 'iommu-intel', 'jspecify', 'kvm-x86', 'slf4j-api', 'vfio-core']
if (got != wanted) {
    throw new IllegalStateException("a consumer of host-audit gets $got, should get $wanted")
}

def all = new File(basedir, 'target/classes').path + File.pathSeparator + path
def java = System.getProperty('java.home') + '/bin/java'
// The project is cloned to integration-tests/target/it.
def captures = new File(basedir, '../../../src/test/resources/captures')
def output = new File(basedir, 'target/output.txt')
def exit = new ProcessBuilder([java, '-cp', all, 'com.example.fleet.Agent',
        new File(captures, 'intel-sc1.tar').path, new File(captures, 'amd-qemu11.tar').path] as List<String>)
        .redirectErrorStream(true)
        .redirectOutput(output)
        .start()
        .waitFor()
def lines = output.readLines().findAll { !it.startsWith('SLF4J') }
if (exit != 0 || lines.size() != 2 || !lines[0].startsWith('intel-sc1, Linux ') || !lines[0].contains(': COHERENT, ')
        || !lines[1].startsWith('amd-qemu11, Linux ') || !lines[1].contains(': COHERENT, ')) {
    throw new IllegalStateException("exit code $exit: ${output.text}")
}
true
