# Sourced by the scripts beside it: what has to be installed, by the names of each distribution.
# shellcheck shell=sh disable=SC2034

# One line a need: apt | dnf | zypper. "-": comes with something else.
packages_to_build='
g++               gcc-c++           gcc-c++
meson             meson             meson
ninja-build       ninja-build       ninja
pkg-config        pkgconf-pkg-config pkgconf-pkg-config
libboost1.81-dev  boost-devel       boost-devel
libhwloc-dev      hwloc-devel       hwloc-devel
liburing-dev      liburing-devel    liburing-devel
libcli11-dev      cli11-devel       cli11-devel
libfmt-dev        fmt-devel         fmt-devel
'
packages_to_test='
doctest-dev       doctest-devel     doctest-devel
libgmp-dev        gmp-devel         gmp-devel
libcereal-dev     cereal-devel      cereal-devel
python3           python3           python3
elfutils          elfutils          elfutils
spin              spin              spin
libssl-dev        openssl-devel     libopenssl-devel
'
packages_to_measure='
libbenchmark-dev  google-benchmark-devel google-benchmark-devel
python3           python3           python3
strace            strace            strace
valgrind          valgrind          valgrind
libssl-dev        openssl-devel     libopenssl-devel
'
packages_to_test_fully='
clang-16          clang             clang
libclang-rt-16-dev compiler-rt      -
-                 libasan           libasan8
-                 libubsan          libubsan1
-                 libtsan           libtsan2
'

package_manager() {
  for manager in apt-get dnf zypper; do
    command -v "$manager" >/dev/null 2>&1 && echo "$manager" && return
  done
  echo none
}

is_installed() {
  case $1 in
    apt-get) dpkg-query -W -f '${Status}' "$2" 2>/dev/null | grep -q '^install ok installed' ;;
    *) rpm -q --whatprovides "$2" >/dev/null 2>&1 ;;
  esac
}

# missing_packages MANAGER NEEDS: the names, one a line.
missing_packages() {
  case $1 in
    apt-get) column=1 ;;
    dnf) column=2 ;;
    *) column=3 ;;
  esac
  echo "$2" | awk -v column=$column 'NF && $column != "-" { print $column }' | sort -u |
    while read -r package; do
      is_installed "$1" "$package" || echo "$package"
    done
}

# install_packages NEEDS: installs what is missing; without the rights to, prints the line that
# does and ends the script.
install_packages() {
  manager=$(package_manager)
  if [ "$manager" = none ]; then
    echo "No apt-get, dnf or zypper here: going on with what is installed." >&2
    return 0
  fi
  missing=$(missing_packages "$manager" "$1" | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  case $manager in
    apt-get) refresh='apt-get update' install='apt-get install -y --no-install-recommends' ;;
    dnf) refresh='' install='dnf install -y' ;;
    zypper) refresh='' install='zypper --non-interactive install --no-recommends' ;;
  esac
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
    if ! sudo -n true 2>/dev/null; then
      echo "To be installed first, by someone who may:" >&2
      echo "  ${refresh:+sudo $refresh && }sudo $install $missing" >&2
      exit 1
    fi
  fi
  echo "installing: $missing"
  # shellcheck disable=SC2086 # words on purpose
  {
    [ -z "$refresh" ] || $as_root env DEBIAN_FRONTEND=noninteractive $refresh
    $as_root env DEBIAN_FRONTEND=noninteractive $install $missing
  } </dev/null
}

# build_folder FOLDER OPTION...: configures once, and again when the options changed, then builds:
# everything, or what the tests of the suites in $build_suites need.
build_folder() {
  folder=$1
  shift
  if [ -f "$folder/build.ninja" ]; then
    meson configure "$folder" "$@" || return
  else
    meson setup "$folder" "$@" || return
  fi
  if [ -z "${build_suites-}" ]; then
    meson compile -C "$folder"
  else
    # shellcheck disable=SC2046,SC2086 # words on purpose
    meson compile -C "$folder" $(python3 tools/suite_targets.py "$folder" $build_suites)
  fi
}
